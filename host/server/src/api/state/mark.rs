//! How far a list has come, as text that a caller can keep and send back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_model::Invalid;
use holdfast_store::ScanMark;

/// The text of a mark. Compact, because it stands in a URL: on a cluster a mark names each part of
/// the ring that is not read yet.
pub(super) fn text(mark: &ScanMark) -> String {
    let bytes = postcard::to_stdvec(mark).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a mark's text.
pub(super) fn parse(text: &str) -> Result<ScanMark, Invalid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let mark = bytes.and_then(|bytes| postcard::from_bytes(&bytes).ok());
    // Whatever stands behind a mark was not written here.
    let mark = mark.filter(|mark| self::text(mark) == text);
    mark.ok_or_else(|| Invalid::new("from", "is no mark of a list; send one as a list told it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mark_is_refused() {
        for text in ["", "x", "!!", "____", "AAAAA", "zzzzzzzz"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
