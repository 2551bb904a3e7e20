//! The machine's decisions in a world without latency or faults.

mod blue_green;
mod canary;
mod late;
mod recreate;
mod rolling;
mod world;
