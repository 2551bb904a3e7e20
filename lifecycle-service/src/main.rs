//! The program `lifecycle`.
fn main() {}
