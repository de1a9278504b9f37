//! What a document has too much of as a text: tokens and nesting. One pass, no recursion.

use apollo_parser::{Lexer, TokenKind};

use crate::error::{Location, RequestError, RequestErrorCode};
use crate::options::SchemaOptions;

/// Refuses a document at the first token that is too many or too deep, or that is none.
///
/// # Errors
/// [`RequestErrorCode::LimitExceeded`], or [`RequestErrorCode::ParseFailed`] where no token can be read.
pub(crate) fn check(text: &str, options: &SchemaOptions) -> Result<(), RequestError> {
    let mut depth = 0_usize;
    for (number, token) in Lexer::new(text).enumerate() {
        let token = token.map_err(|error| {
            let message = format!("syntax error: {}", error.message());
            let place = location(text, error.index());
            RequestError::at(RequestErrorCode::ParseFailed, message, Some(place))
        })?;
        let exceeded = |message: String| {
            let place = location(text, token.index());
            Err(RequestError::at(
                RequestErrorCode::LimitExceeded,
                message,
                Some(place),
            ))
        };
        match token.kind() {
            TokenKind::Eof => break,
            _ if number >= options.max_tokens => {
                return exceeded(format!(
                    "the document has more than {} tokens",
                    options.max_tokens
                ));
            }
            TokenKind::LCurly | TokenKind::LBracket | TokenKind::LParen => {
                depth += 1;
                if depth > options.max_recursion {
                    let most = options.max_recursion;
                    return exceeded(format!("the document is nested deeper than {most} levels"));
                }
            }
            TokenKind::RCurly | TokenKind::RBracket | TokenKind::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// The line and column of a byte.
fn location(text: &str, place: usize) -> Location {
    let before = text.get(..place).unwrap_or(text);
    let line_start = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
    let breaks = before.bytes().filter(|byte| *byte == b'\n').count()
        + before.bytes().filter(|byte| *byte == b'\r').count()
        - before.matches("\r\n").count();
    Location {
        line: breaks + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (RequestErrorCode, String, Location) {
        let options = SchemaOptions {
            max_tokens: 60,
            max_recursion: 4,
            ..SchemaOptions::default()
        };
        let error = check(text, &options).unwrap_err();
        let problem = &error.problems[0];
        (error.code, problem.message.clone(), problem.locations[0])
    }

    #[test]
    fn the_first_that_is_too_much_is_named() {
        for (text, words, line, column) in [
            ("{ a {\n  b(c: {d: [1]}) } }", "4 levels", 2, 12),
            ("{ a(s: \"é\") { b { c { d { e } } } } }", "4 levels", 1, 25),
            ("{\r\n a { b {\n c { d { e } } } } }", "4 levels", 3, 8),
            (&"a ".repeat(40), "60 tokens", 1, 61),
        ] {
            let (code, message, at) = refused(text);
            assert_eq!(code, RequestErrorCode::LimitExceeded, "{text}");
            assert!(message.contains(words), "{text}: {message}");
            assert_eq!((at.line, at.column), (line, column), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_at_once() {
        let (code, _, at) = refused("{ a }\n ?");
        assert_eq!((code, at.line, at.column), (RequestErrorCode::ParseFailed, 2, 2));
        // What only looks deep is text.
        let fine = "{ a(b: \"{{{{{{[[[[\") # {{{{{{\n b(c: \"\"\"{{{{{{\"\"\") }";
        assert!(
            check(
                fine,
                &SchemaOptions {
                    max_recursion: 3,
                    ..SchemaOptions::default()
                }
            )
            .is_ok()
        );
    }
}
