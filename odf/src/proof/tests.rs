mod canonical;
mod document;
mod golden;
mod rows;
