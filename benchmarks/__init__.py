"""Benchmarks: each measures something of ours beside the least that anybody would have to do, in one run."""
