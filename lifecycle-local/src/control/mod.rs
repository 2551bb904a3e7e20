//! The driver's side of the proxy: talking to it, keeping it running, and writing its table.

mod client;
mod keeper;
mod writer;

pub(crate) use client::{Client, ControlError};
pub(crate) use keeper::{ProxyHandle, recorded};
pub(crate) use writer::TableWriter;
