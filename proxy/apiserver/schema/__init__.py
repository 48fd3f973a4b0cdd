"""What the objects of each kind look like: fields, types, and their protobuf form."""
