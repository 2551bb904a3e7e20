//! docs/kubernetes.md, from its first command to its last: each is run as it is written, in the root of the
//! repository, and prints what is shown.

mod console;
mod world;

use console::Step;
use world::World;

use crate::support::run;

const DOCUMENT: &str = include_str!("../../../docs/kubernetes.md");

#[test]
fn every_command_of_the_documentation_does_what_is_shown() {
    let steps = Step::all_of(DOCUMENT);
    assert!(steps.len() > 30, "only {} commands were found", steps.len());
    run(async {
        let mut world = World::start().await;
        for step in &steps {
            world.carry_out(step).await;
        }
    });
}
