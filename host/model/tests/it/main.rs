//! What the model promises to the outside: its wire forms.

// The attribute tells clippy that these are tests throughout.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod export;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod round_trip;
