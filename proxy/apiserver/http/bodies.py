"""Bodies: the object that a request carries.

Invariant: JSON, YAML and protobuf give the same document; any other media type is refused with the API server's 415.
"""

from proxy.apiserver import status
from proxy.apiserver.document import Document
from proxy.apiserver.http.negotiation import JSON, PROTOBUF, YAML
from proxy.apiserver.schema.protobuf_object import protobuf_object
from proxy.apiserver.schema.schema_types import Record
from proxy.documents.json_documents import load_json
from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml


def parsed_body(body: bytes, content_type: str, expected: Record) -> Document:
    """The object in a body: of the type `expected` where it is protobuf, of any where it is JSON or YAML.

    Raises StatusError: 415 for other media types, 400 for what is no such object.
    """
    media_type = content_type.partition(";")[0].strip().lower() or JSON
    if media_type == PROTOBUF:
        return protobuf_object(body, expected)
    if media_type not in (JSON, YAML):
        raise status.unsupported_media_type((JSON, YAML, PROTOBUF))
    try:
        text = body.decode()
        documents = load_yaml(text) if media_type == YAML else load_json(text)
    except (DocumentSyntaxError, UnicodeDecodeError) as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise status.bad_request("couldn't get version/kind; json parse error: the body must be one object")
    return documents[0]
