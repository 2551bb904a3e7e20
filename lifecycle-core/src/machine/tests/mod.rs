//! The machine's decisions in a world without latency or faults.

mod blue_green;
mod canary;
mod checks;
mod late;
mod looks;
mod readiness;
mod recreate;
mod rest;
mod rolling;
mod world;
