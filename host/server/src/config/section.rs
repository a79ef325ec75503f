//! Declares a section once: its type, its defaults, its reference, and what a reload may change.

use super::field::{Change, Values};
use super::layers::KeyPath;
use super::reader::Reader;
use super::reference::Reference;

pub(super) trait Section: Sized {
    fn read(reader: &mut Reader<'_>, path: &KeyPath) -> Self;
    fn describe(&self, path: &KeyPath, out: &mut Reference);
    fn changes(&self, other: &Self, path: &KeyPath, out: &mut Vec<Change>);
    fn values(&self, path: &KeyPath, out: &mut Values);
}

/// `key: Type = default, Live;` or `…, Restart;`, with the comment that the reference shows.
macro_rules! section {
    ($(#[doc = $about:literal])* $name:ident {
        $($(#[doc = $doc:literal])* $field:ident: $type:ty = $default:expr, $reload:ident;)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Section for $name {
            fn read(reader: &mut Reader<'_>, path: &KeyPath) -> Self {
                reader.section(path);
                let Self { $($field),* } = Self::default();
                Self {
                    $($field: Field::read(reader, &path.child(stringify!($field)), $field),)*
                }
            }

            fn describe(&self, path: &KeyPath, out: &mut Reference) {
                out.section(path, &[$($about),*]);
                $(Field::describe(
                    &self.$field,
                    &path.child(stringify!($field)),
                    &[$($doc),*],
                    Reload::$reload,
                    out,
                );)*
            }

            fn changes(&self, other: &Self, path: &KeyPath, out: &mut Vec<Change>) {
                $(Field::changes(
                    &self.$field,
                    &other.$field,
                    &path.child(stringify!($field)),
                    Reload::$reload,
                    out,
                );)*
            }

            fn values(&self, path: &KeyPath, out: &mut Values) {
                $(Field::values(&self.$field, &path.child(stringify!($field)), out);)*
            }
        }

        // A section may stand within another one. What a reload may change is said key by key.
        impl Field for $name {
            fn read(reader: &mut Reader<'_>, path: &KeyPath, _: Self) -> Self {
                <Self as Section>::read(reader, path)
            }

            fn describe(&self, path: &KeyPath, _: &[&str], _: Reload, out: &mut Reference) {
                Section::describe(self, path, out);
            }

            fn changes(&self, other: &Self, path: &KeyPath, _: Reload, out: &mut Vec<Change>) {
                Section::changes(self, other, path, out);
            }

            fn values(&self, path: &KeyPath, out: &mut Values) {
                Section::values(self, path, out);
            }
        }
    };
}

/// A setting that is one of a few words.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident {
        $($(#[doc = $doc:literal])* $variant:ident = $word:literal,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Setting for $name {
            const EXAMPLE: &'static str = "";

            fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
                match text(raw) {
                    $(Some($word) => Ok(Self::$variant),)*
                    _ => Err(Wrong::new(
                        raw,
                        "choice here",
                        &format!("write one of {}", [$($word),*].join(", ")),
                    )),
                }
            }

            fn toml(&self) -> Option<String> {
                Some(quoted(match self { $(Self::$variant => $word,)* }))
            }
        }
    };
}

pub(super) use section;
pub(super) use words;
