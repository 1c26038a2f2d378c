mod create;
mod errors;
mod fixtures;
mod forms;
mod order;
mod vectors;
