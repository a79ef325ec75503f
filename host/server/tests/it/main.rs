//! The one integration binary: everything that is tested through a door of the program.

// The attribute tells clippy that these are tests throughout.
#[cfg(test)]
mod identity;
#[cfg(test)]
mod ops;
#[cfg(test)]
mod tidy;
