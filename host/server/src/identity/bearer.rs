//! The one header that says who calls.

use super::error::AuthError;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// Bytes of a bearer token. Tokens with a hundred roles stay below it; verifying longer ones would
/// only cost time.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The token of `Authorization: Bearer …`, once and only once.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = all.next().ok_or(AuthError::Missing)?;
    if all.next().is_some() {
        return Err(AuthError::Malformed("it is there twice"));
    }
    let text = value
        .to_str()
        .map_err(|_| AuthError::Malformed("it has letters beyond ASCII"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Malformed("its scheme is not Bearer"));
    }
    let token = token.trim_matches(' ');
    if token.is_empty() {
        return Err(AuthError::Malformed("nothing follows Bearer"));
    }
    if token.contains(' ') {
        return Err(AuthError::Malformed("the token has a space in it"));
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(AuthError::Malformed("the token is longer than 8 KiB"));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<String, AuthError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        token(&headers).map(str::to_owned)
    }

    #[test]
    fn one_bearer_token_is_taken_whatever_the_case_of_its_scheme() {
        assert_eq!(of(&["Bearer abc"]).unwrap(), "abc");
        assert_eq!(of(&["bEARER  abc "]).unwrap(), "abc");
    }

    #[test]
    fn anything_else_says_what_is_wrong() {
        let long = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1));
        for (sent, words) in [
            (vec![], "no credentials"),
            (vec!["Bearer a", "Bearer a"], "twice"),
            (vec!["Basic abc"], "not Bearer"),
            (vec!["Bearer"], "nothing follows"),
            (vec!["Bearer   "], "nothing follows"),
            (vec!["Bearer a b"], "space"),
            (vec![long.as_str()], "8 KiB"),
        ] {
            let said = of(&sent).unwrap_err().to_string();
            assert!(said.contains(words), "{sent:?}: {said}");
        }
    }
}
