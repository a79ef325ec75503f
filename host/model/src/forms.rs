//! The two forms of a noun that has bytes of its own: text for people and their formats, bytes for
//! the store.

/// Gives a noun with `parse`, `from_bytes`, `to_bytes` and `Display` the rest of its two forms.
macro_rules! text_and_bytes {
    ($noun:ty) => {
        impl std::str::FromStr for $noun {
            type Err = $crate::error::Invalid;

            fn from_str(text: &str) -> Result<Self, $crate::error::Invalid> {
                Self::parse(text)
            }
        }

        impl std::fmt::Debug for $noun {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $noun {
            /// Text for people's formats, bytes for the store's.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.to_bytes())
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $noun {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error;
                if !deserializer.is_human_readable() {
                    let bytes = <&[u8]>::deserialize(deserializer)?;
                    return Self::from_bytes(bytes).map_err(D::Error::custom);
                }
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(D::Error::custom)
            }
        }
    };
}

pub(crate) use text_and_bytes;
