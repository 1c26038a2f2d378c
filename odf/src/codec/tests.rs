mod foreign;
mod rules;
mod vectors;
