//! What keeps the program watched.

mod audit;
