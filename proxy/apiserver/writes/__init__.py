"""From a request's body to a new version of an object: patches, defaults, validation and field ownership."""
