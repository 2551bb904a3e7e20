//! A small HTTP application to roll out.
fn main() {}
