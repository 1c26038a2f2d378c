mod build;
mod definition;
mod dsl;
mod properties;
mod read;
mod real;
mod rules;
