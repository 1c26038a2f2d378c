mod foreign;
mod names;
mod vectors;
