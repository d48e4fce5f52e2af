"""The tests of Batchyard, mirrored on the code path by path."""
