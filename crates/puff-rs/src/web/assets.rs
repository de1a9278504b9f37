//! The playground's files, as the Python package brings them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use url::{Position, Url};

use super::body::text_response;
use super::coding::{Accepted, Coding, vary};
use super::static_files::content_type;

/// The path that the files are served below.
pub(crate) const ASSETS_PATH: &str = "/_puff/playground/";

/// What answers where the files are missing.
const NOT_BUILT: &str = "The playground's files are missing: this is a source checkout in which it was not built. \
    Run `make build`, or install the wheel.";

/// The files of the playground: which there are, and where. A clone shares the list.
///
/// Names are looked up in a list made at the start, so that no path in a request reaches the file system.
#[derive(Debug, Clone)]
pub struct PlaygroundAssets {
    files: Arc<HashMap<String, Asset>>,
}

#[derive(Debug)]
struct Asset {
    path: PathBuf,
    gzip: Option<PathBuf>,
    content_type: HeaderValue,
}

impl PlaygroundAssets {
    /// The files below `directory`; none if it does not exist, and requests are told so.
    pub fn open(directory: &Path) -> PlaygroundAssets {
        let mut files = HashMap::new();
        collect(directory, directory, 0, &mut files);
        PlaygroundAssets {
            files: Arc::new(files),
        }
    }

    /// The page, with its placeholders replaced.
    pub(crate) async fn page(&self, endpoint: &str, subscriptions: &str, default_query: &str) -> Response {
        let Some(asset) = self.files.get("index.html") else {
            return text_response(StatusCode::NOT_FOUND, NOT_BUILT);
        };
        let html = match tokio::fs::read_to_string(&asset.path).await {
            Ok(html) => html,
            Err(error) => return unreadable(&asset.path, &error),
        };
        let html = html
            .replace("{{ENDPOINT}}", &script_string(endpoint))
            .replace("{{SUBSCRIPTIONS}}", &script_string(subscriptions))
            .replace("{{DEFAULT_QUERY}}", &script_string(default_query));
        let mut response = Response::new(Body::from(html));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(policy) = HeaderValue::try_from(content_policy([endpoint, subscriptions])) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    /// The file called `name`, compressed if the client takes that.
    pub(crate) async fn file(&self, name: &str, request: &HeaderMap) -> Response {
        let Some(asset) = self.files.get(name).filter(|_| name != "index.html") else {
            return text_response(StatusCode::NOT_FOUND, "not found");
        };
        let gzip = asset.gzip.as_ref().filter(|_| {
            Accepted::by(request)
                .preferred()
                .any(|coding| coding == Coding::Gzip)
        });
        let path = gzip.unwrap_or(&asset.path);
        let content = match tokio::fs::read(path).await {
            Ok(content) => content,
            Err(error) => return unreadable(path, &error),
        };
        let mut response = Response::new(Body::from(content));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, asset.content_type.clone());
        vary(headers);
        // The names carry hashes of the content, but for the workers' entry points: an hour suits both.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        if gzip.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// What the page may load and connect to: this host, and the hosts of the two addresses if they are elsewhere.
fn content_policy(addresses: [&str; 2]) -> String {
    let mut policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
        object-src 'none'; base-uri 'none'; frame-ancestors 'self'; connect-src 'self'"
        .to_owned();
    // Paths are no URLs and need nothing beside 'self', which covers the WebSockets of this host.
    for url in addresses.iter().filter_map(|address| Url::parse(address).ok()) {
        policy.push(' ');
        policy.push_str(&url[..Position::BeforePath]);
    }
    policy
}

fn unreadable(path: &Path, error: &std::io::Error) -> Response {
    tracing::error!("cannot read {}: {error}", path.display());
    text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
}

fn collect(root: &Path, directory: &Path, depth: usize, files: &mut HashMap<String, Asset>) {
    const DEEPEST: usize = 4;
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && depth < DEEPEST {
            collect(root, &path, depth + 1, files);
        } else if path.is_file() {
            let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) else {
                continue;
            };
            if name.starts_with('.') || name.ends_with(".gz") {
                continue;
            }
            let gzip = PathBuf::from(format!("{}.gz", path.display()));
            let gzip = gzip.is_file().then_some(gzip);
            files.insert(
                name.to_owned(),
                Asset {
                    content_type: content_type(&path),
                    path,
                    gzip,
                },
            );
        }
    }
}

/// `text` as a JavaScript string literal that may stand in an HTML `<script>` or attribute.
fn script_string(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027")
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT_ENCODING;

    use super::*;

    fn assets() -> (tempfile::TempDir, PlaygroundAssets) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("assets")).unwrap();
        std::fs::write(
            dir.path().join("index.html"),
            "<script>a({{ENDPOINT}}, {{SUBSCRIPTIONS}})</script>",
        )
        .unwrap();
        std::fs::write(dir.path().join("assets/a.js"), "plain").unwrap();
        std::fs::write(dir.path().join("assets/a.js.gz"), "zipped").unwrap();
        let assets = PlaygroundAssets::open(dir.path());
        (dir, assets)
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn placeholders_become_safe_literals() {
        let (_dir, assets) = assets();
        let page = text(assets.page("/graphql", "</script>\"", "").await).await;
        assert_eq!(page, r#"<script>a("/graphql", "\u003c/script\u003e\"")</script>"#);
    }

    #[tokio::test]
    async fn the_page_may_reach_this_host_and_the_ones_it_was_given() {
        let (_dir, assets) = assets();
        let page = assets
            .page("/graphql", "wss://events.example:444/all?a=1", "")
            .await;
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'; "), "{policy}");
        assert!(
            policy.ends_with("; connect-src 'self' wss://events.example:444"),
            "{policy}"
        );
    }

    #[tokio::test]
    async fn files_come_compressed_on_request_only() {
        let (_dir, assets) = assets();
        assert_eq!(
            text(assets.file("assets/a.js", &HeaderMap::new()).await).await,
            "plain"
        );
        let accepts = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip;q=0.5"))]);
        let response = assets.file("assets/a.js", &accepts).await;
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(text(response).await, "zipped");
        let refuses = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip;q=0"))]);
        assert_eq!(text(assets.file("assets/a.js", &refuses).await).await, "plain");
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_is_served() {
        let (_dir, assets) = assets();
        for name in [
            "../secret",
            "/etc/passwd",
            "assets/../index.html",
            "index.html",
            "assets/a.js.gz",
            "",
        ] {
            assert_eq!(
                assets.file(name, &HeaderMap::new()).await.status(),
                StatusCode::NOT_FOUND,
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn a_missing_folder_says_how_to_build_it() {
        let assets = PlaygroundAssets::open(Path::new("/nonexistent"));
        let response = assets.page("/graphql", "", "").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(text(response).await.contains("make build"));
    }
}
