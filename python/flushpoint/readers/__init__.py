"""What stands behind `flushpoint.io`: one module a source, and what they share."""
