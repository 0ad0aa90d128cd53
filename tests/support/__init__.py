"""What the tests stand on: real servers, a clock that is set by hand, helpers that post and wait."""
