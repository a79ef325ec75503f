//! `api.Pin` as JSON, as IPFS Cluster answers it.
