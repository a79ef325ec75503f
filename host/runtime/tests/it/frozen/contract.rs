//! A contract as a list of items, so that two of them can be compared.

#![expect(
    clippy::indexing_slicing,
    reason = "arenas are asked for ids of their own"
)]

use std::collections::BTreeMap;
use std::path::Path;
use wit_parser::{
    Function, FunctionKind, Handle, InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeId,
    WorldId, WorldItem, WorldKey,
};

/// Every item by its path, with what it looks like: `types.money` is `record {micros: s64, …}`.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    /// What a plugin may use: more of it breaks nobody.
    offered: BTreeMap<String, String>,
    /// What a plugin must have: less or more of it breaks everybody.
    demanded: BTreeMap<String, String>,
}

impl Contract {
    /// The contract in a folder.
    pub(crate) fn of_folder(folder: &Path) -> Self {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(folder).unwrap();
        Self::of(&resolve, package)
    }

    /// The contract in a text.
    pub(crate) fn of_text(wit: &str) -> Self {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("test.wit", wit).unwrap();
        Self::of(&resolve, package)
    }

    /// What plugins built for `released` would miss here, or would lack.
    pub(crate) fn breaks(&self, released: &Self) -> Vec<String> {
        let mut broken = Vec::new();
        let both = [
            (&released.offered, &self.offered),
            (&released.demanded, &self.demanded),
        ];
        for (then, now) in both {
            for (path, shape) in then {
                match now.get(path) {
                    None => broken.push(format!("{path} is gone; it was {shape}")),
                    Some(now) if now != shape => {
                        broken.push(format!("{path} is {now}; it was {shape}"));
                    }
                    Some(_) => {}
                }
            }
        }
        for (path, shape) in &self.demanded {
            let world = path.split(' ').next().unwrap();
            let is_new_world = !released.demanded.keys().any(|path| path.starts_with(world));
            if !is_new_world && !released.demanded.contains_key(path) {
                broken.push(format!("{path} is demanded now: {shape}"));
            }
        }
        broken
    }

    fn of(resolve: &Resolve, package: PackageId) -> Self {
        let mut contract = Self::default();
        let package = &resolve.packages[package];
        for (name, interface) in &package.interfaces {
            let items = Items(resolve).of_interface(*interface, name);
            contract.offered.extend(items);
        }
        for (name, world) in &package.worlds {
            contract.add_world(resolve, name, *world);
        }
        contract
    }

    fn add_world(&mut self, resolve: &Resolve, name: &str, world: WorldId) {
        let items = Items(resolve);
        let world = &resolve.worlds[world];
        for (key, item) in &world.imports {
            let key = items.key(key);
            let shape = match item {
                WorldItem::Function(function) => items.function(function),
                WorldItem::Type { id, .. } => items.definition(*id),
                WorldItem::Interface { .. } => "an interface".into(),
            };
            self.offered.insert(format!("{name} imports {key}"), shape);
        }
        for (key, item) in &world.exports {
            let key = items.key(key);
            let path = format!("{name} exports {key}");
            match item {
                WorldItem::Function(function) => {
                    self.demanded.insert(path, items.function(function));
                }
                WorldItem::Type { id, .. } => {
                    self.demanded.insert(path, items.definition(*id));
                }
                // All of its functions: a component of before has no more than these.
                WorldItem::Interface { id, .. } => {
                    self.demanded.insert(path.clone(), "an interface".into());
                    for (item, shape) in items.of_interface(*id, &path) {
                        self.demanded.insert(item, shape);
                    }
                }
            }
        }
    }
}

/// Writes items down.
struct Items<'a>(&'a Resolve);

impl Items<'_> {
    fn of_interface(&self, interface: InterfaceId, name: &str) -> Vec<(String, String)> {
        let interface = &self.0.interfaces[interface];
        let types = interface.types.iter();
        let types = types.map(|(item, id)| (format!("{name}.{item}"), self.definition(*id)));
        let functions = interface.functions.iter();
        let functions =
            functions.map(|(item, function)| (format!("{name}.{item}"), self.function(function)));
        types.chain(functions).collect()
    }

    fn function(&self, function: &Function) -> String {
        let kind = match function.kind {
            FunctionKind::Freestanding => "func",
            FunctionKind::Method(_) => "method",
            FunctionKind::Static(_) => "static func",
            FunctionKind::Constructor(_) => "constructor",
            _ => "async func",
        };
        let params: Vec<String> = function
            .params
            .iter()
            .map(|param| format!("{}: {}", param.name, self.name(&param.ty)))
            .collect();
        let result = function.result.as_ref().map(|ty| self.name(ty));
        format!(
            "{kind}({}) -> {}",
            params.join(", "),
            result.unwrap_or_default()
        )
    }

    /// A type by its name, or all of it if it has none.
    fn name(&self, ty: &Type) -> String {
        let Type::Id(id) = ty else {
            return format!("{ty:?}").to_lowercase();
        };
        let id = self.origin(*id);
        let def = &self.0.types[id];
        match (&def.name, def.owner) {
            (Some(name), wit_parser::TypeOwner::Interface(interface)) => {
                let interface = self.interface(interface);
                format!("{interface}.{name}")
            }
            _ => self.definition(id),
        }
    }

    /// What a type is made of.
    fn definition(&self, id: TypeId) -> String {
        let optional = |ty: &Option<Type>| ty.as_ref().map_or("_".into(), |ty| self.name(ty));
        let list = |parts: Vec<String>| parts.join(", ");
        match &self.0.types[id].kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                let fields =
                    fields.map(|field| format!("{}: {}", field.name, self.name(&field.ty)));
                format!("record {{{}}}", list(fields.collect()))
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases = cases.map(|case| format!("{}({})", case.name, optional(&case.ty)));
                format!("variant {{{}}}", list(cases.collect()))
            }
            TypeDefKind::Enum(cases) => {
                let cases = cases.cases.iter().map(|case| case.name.clone());
                format!("enum {{{}}}", list(cases.collect()))
            }
            TypeDefKind::Flags(flags) => {
                let flags = flags.flags.iter().map(|flag| flag.name.clone());
                format!("flags {{{}}}", list(flags.collect()))
            }
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| self.name(ty));
                format!("tuple<{}>", list(types.collect()))
            }
            TypeDefKind::Option(ty) => format!("option<{}>", self.name(ty)),
            TypeDefKind::List(ty) => format!("list<{}>", self.name(ty)),
            TypeDefKind::Result(result) => {
                format!(
                    "result<{}, {}>",
                    optional(&result.ok),
                    optional(&result.err)
                )
            }
            TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", self.name(&Type::Id(*id))),
            TypeDefKind::Handle(Handle::Borrow(id)) => {
                format!("borrow<{}>", self.name(&Type::Id(*id)))
            }
            TypeDefKind::Type(ty) => self.name(ty),
            TypeDefKind::Resource => "resource".into(),
            other => panic!("the contract has a {}: teach this test", other.as_str()),
        }
    }

    /// Where a type that is only used here was made.
    fn origin(&self, id: TypeId) -> TypeId {
        match self.0.types[id].kind {
            TypeDefKind::Type(Type::Id(other)) => self.origin(other),
            _ => id,
        }
    }

    fn key(&self, key: &WorldKey) -> String {
        match key {
            WorldKey::Name(name) => name.clone(),
            WorldKey::Interface(id) => self.interface(*id),
        }
    }

    /// An interface without the version of its package, which grows.
    fn interface(&self, id: InterfaceId) -> String {
        let id = self.0.id_of(id).unwrap();
        id.split('@').next().unwrap().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "
        package a:b@1.0.0;
        interface t {
            record r { x: u64 }
            variant v { one, other(string) }
            resource c { get: func() -> r; }
        }
        interface l { write: func(line: string); }
        interface e { use t.{c, v}; go: func(c: borrow<c>) -> v; }
        world w { import l; export start: func(); export e; }
    ";

    /// What breaks if one piece of the text is written otherwise.
    fn broken(from: &str, to: &str) -> Vec<String> {
        assert!(BEFORE.contains(from), "{from}");
        let now = Contract::of_text(&BEFORE.replacen(from, to, 1));
        now.breaks(&Contract::of_text(BEFORE))
    }

    #[test]
    fn what_breaks_nobody_is_let_be() {
        for (from, to) in [
            ("@1.0.0", "@1.7.0"),
            ("get: func() -> r;", "get: func() -> r; more: func();"),
            ("interface e", "interface n { f: func(); } interface e"),
            ("import l;", "import l; import e;"),
            ("world w", "world z { export stop: func(); } world w"),
            ("resource c", "record q { y: u8 } resource c"),
        ] {
            assert_eq!(broken(from, to), [""; 0], "{to}");
        }
    }

    #[test]
    fn what_breaks_somebody_is_told() {
        for (from, to, told) in [
            (
                "record r { x: u64 }",
                "record r { x: u64, y: u8 }",
                "t.r is",
            ),
            ("record r { x: u64 }", "record r { x: u32 }", "t.r is"),
            ("one, other(string)", "one, two, other(string)", "t.v is"),
            ("get: func() -> r;", "", "[method]c.get is gone"),
            (
                "get: func() -> r;",
                "get: func() -> u64;",
                "[method]c.get is",
            ),
            (
                "get: func() -> r;",
                "get: func(n: u8) -> r;",
                "[method]c.get is",
            ),
            (
                "go: func",
                "more: func(); go: func",
                "e.more is demanded now",
            ),
            (
                "export start: func();",
                "export start: func(); export stop: func();",
                "stop is demanded",
            ),
            ("export start: func();", "", "w exports start is gone"),
            (
                "export start: func();",
                "export start: func() -> string;",
                "w exports start is",
            ),
            ("import l;", "", "w imports a:b/l is gone"),
        ] {
            let broken = broken(from, to);
            assert!(
                broken.iter().any(|one| one.contains(told)),
                "{to}: {broken:?}"
            );
        }
    }
}
