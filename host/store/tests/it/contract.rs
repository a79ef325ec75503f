//! The contract suite on each backend.

mod memory {
    use holdfast_store::Store;
    use holdfast_store::contract::Backend;

    struct InMemory(Store);

    impl Backend for InMemory {
        async fn start() -> Self {
            Self(Store::memory())
        }

        fn store(&self) -> &Store {
            &self.0
        }

        async fn reopen(self) -> Self {
            self
        }
    }

    holdfast_store::contract_suite!(InMemory);
}

mod embedded {
    use holdfast_store::Store;
    use holdfast_store::contract::Backend;
    use tempfile::TempDir;

    struct InDirectory {
        store: Store,
        dir: TempDir,
    }

    impl Backend for InDirectory {
        async fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::embedded(dir.path()).await.unwrap();
            Self { store, dir }
        }

        fn store(&self) -> &Store {
            &self.store
        }

        async fn reopen(self) -> Self {
            assert_eq!(self.store.check().await.unwrap(), [""; 0]);
            self.store.close().await.unwrap();
            let store = Store::embedded(self.dir.path()).await.unwrap();
            Self { store, ..self }
        }
    }

    holdfast_store::contract_suite!(InDirectory);
}

mod cql {
    use holdfast_store::Store;
    use holdfast_store::contract::Backend;
    use holdfast_store::contract::keyspace::Keyspace;

    struct OnCassandra {
        store: Store,
        keyspace: Keyspace,
    }

    impl Backend for OnCassandra {
        async fn start() -> Self {
            let keyspace = Keyspace::empty().await.unwrap();
            let store = Store::cql(keyspace.settings()).await.unwrap();
            Self { store, keyspace }
        }

        fn store(&self) -> &Store {
            &self.store
        }

        async fn reopen(self) -> Self {
            assert_eq!(self.store.check().await.unwrap(), [""; 0]);
            self.store.close().await.unwrap();
            let store = Store::cql(self.keyspace.settings()).await.unwrap();
            Self { store, ..self }
        }
    }

    holdfast_store::contract_suite!(OnCassandra);
}
