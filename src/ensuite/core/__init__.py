"""What passes between the parts; imports no other part."""
