//! Rollouts of real processes on one machine.
