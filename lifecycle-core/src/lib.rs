//! Progressive delivery as a pure, replayable machine.

pub mod analysis;
pub mod backend;
pub mod driver;
pub mod machine;
pub mod plan;
pub mod report;
pub mod spec;
pub mod strategy;
pub mod time;
pub mod version;
