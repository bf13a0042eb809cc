//! Every test that speaks HTTP to running servers.

mod slice;
