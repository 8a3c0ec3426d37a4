//! kube-proxy.
fn main() {}
