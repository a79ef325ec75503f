//! What several tests stand on.

pub(crate) mod cluster;
pub(crate) mod host;
pub(crate) mod idp;
pub(crate) mod ipfs_cluster;
pub(crate) mod keycloak;
pub(crate) mod kubo;
pub(crate) mod kubo_stand_in;
pub(crate) mod plugins;
pub(crate) mod process;
pub(crate) mod tools;
