//! The one integration binary: everything that is tested through a door of the program.

// The attribute tells clippy that these are tests throughout.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod authz;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod compliance;
#[cfg(test)]
mod config;
#[cfg(test)]
mod cql;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod kubo;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod ops;
#[cfg(test)]
mod payments;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod plugin_compile;
#[cfg(test)]
mod plugins;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod psa;
#[cfg(test)]
mod quickstart;
#[cfg(test)]
mod schemathesis;
#[cfg(test)]
mod state;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod workers;
