"""A provider to test with: accounts whose events happen on a virtual clock, and their delivery with all its faults."""
