//! The rules for heads that hold on HTTP/1, for HTTP/2, where hyper has taken the frames apart.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};

use super::head::{Refusal, is_host, is_method};
use crate::web::config::HeadLimits;

/// Checks the head of a request, and gives it the `Host` that applications look for.
pub(in crate::web) fn check_http2<B>(request: &mut Request<B>, limits: HeadLimits) -> Result<(), Refusal> {
    if !is_method(request.method().as_str().as_bytes()) {
        return Err(Refusal::Malformed);
    }
    check_target(request, limits)?;
    check_fields(request, limits)?;
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next(), authority) {
        (None, None, Some(authority)) => authority.to_owned(),
        (Some(host), None, None) if is_host(host.as_bytes()) => return Ok(()),
        (Some(host), None, Some(authority))
            if is_host(host.as_bytes()) && host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) =>
        {
            return Ok(());
        }
        _ => return Err(Refusal::Host),
    };
    if !is_host(host.as_bytes()) {
        return Err(Refusal::Host);
    }
    let host = HeaderValue::try_from(host).map_err(|_| Refusal::Host)?;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

fn check_target<B>(request: &Request<B>, limits: HeadLimits) -> Result<(), Refusal> {
    // Without one, it is CONNECT's authority.
    let Some(target) = request.uri().path_and_query().map(|target| target.as_str()) else {
        return Ok(());
    };
    if target.len() > limits.uri {
        return Err(Refusal::TargetTooLong);
    }
    let asterisk = target == "*" && request.method() == Method::OPTIONS;
    if !(target.starts_with('/') || asterisk) || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::Malformed);
    }
    Ok(())
}

fn check_fields<B>(request: &Request<B>, limits: HeadLimits) -> Result<(), Refusal> {
    let headers = request.headers();
    // As a line of HTTP/1 would be long.
    let too_long = |(name, value): (&http::HeaderName, &HeaderValue)| {
        name.as_str().len() + 2 + value.len() > limits.field
    };
    if headers.len() > limits.fields || headers.iter().any(too_long) {
        return Err(Refusal::HeadersTooLarge);
    }
    let twice = |name| headers.get_all(name).iter().nth(1).is_some();
    if twice(CONTENT_LENGTH) {
        return Err(Refusal::Framing);
    }
    if twice(CONTENT_TYPE) {
        return Err(Refusal::Malformed);
    }
    Ok(())
}
