//! `api.Pin` as protobuf, byte for byte as IPFS Cluster writes it.
