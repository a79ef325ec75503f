//! The gate from outside: what the policies of `policies/` allow, and what happens to bad ones.

mod cases;
mod isolation;
mod matrix;
mod people;
mod refusal;
mod reload;
