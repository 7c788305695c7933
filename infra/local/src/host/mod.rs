//! Everything AWS does around the functions, on one machine: routes, queues that call, schedules, the Runtime API.

pub mod calls;
pub mod clock;
pub mod data;
pub mod erased;
pub mod events;
pub mod front_door;
pub mod hosted;
pub mod local;
pub mod mover;
pub mod pages;
pub mod payload;
pub mod pollers;
pub mod runtime_api;
pub mod schedule;
pub mod spec;
pub mod stack;
