"""HTTP towards a web archive: with limits on every wait and every body, and no stray secrets.

Credentials go to the origin that the site has named and nowhere else: a redirect to another
host is an error, environment and .netrc are not asked. Bodies are read as they come, in
plain encoding, up to a number of bytes and a deadline, so that neither a slow drip nor an
endless answer keeps us.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from dose_lib.errors import PeerError, SettingsError
from pipelines.collect.multipart import media_type
from pipelines.collect.pacs import WebArchive
from pipelines.collect.peer import DeniedError, StatusError

_MOST_REDIRECTS = 3
_LONGEST_RETRY_S = 600.0
_DENIED = (401, 403, 407)
_WORDS = {
    400: "bad request",
    401: "not logged in",
    403: "not allowed",
    404: "not found",
    406: "it has no such form",
    407: "a proxy wants a login",
    413: "too much was asked for",
    429: "too many requests",
    500: "error of the server",
    502: "bad gateway",
    503: "not available",
    504: "gateway timeout",
}


class Body:
    """An answer whose body is still to come.

    Attributes
    ----------
    status, kind, headers
        HTTP status, media type, headers by lower-case name.
    """

    def __init__(self, answer: httpx.Response, asked: str, where: str, until: float) -> None:
        self.status = answer.status_code
        self.headers = {k.lower(): v for k, v in answer.headers.items()}
        self.kind = media_type(self.headers.get("content-type", ""))
        self._answer, self._asked, self._where, self._until = answer, asked, where, until

    @property
    def is_partial(self) -> bool:
        """True if the server says that there is more (PS3.18 8.3.4.4: warning 299, or 206)."""
        return self.status == 206 or self.headers.get("warning", "").startswith("299")

    def chunks(self, most_bytes: int) -> Iterator[bytes]:
        """The body as it comes in.

        Raises
        ------
        PeerError
            If it is compressed, longer than `most_bytes`, too slow, or broken off.
        """
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise self._wrong(f"a body in {self.headers['content-encoding']!r}", "plain bytes")
        n = 0
        try:
            for chunk in self._answer.iter_raw():
                n += len(chunk)
                if n > most_bytes:
                    raise self._wrong(f"more than {most_bytes:,} bytes", "an end of the body")
                if time.monotonic() > self._until:
                    raise self._wrong(
                        f"{n:,} bytes and no end of them in time", "the whole body in time"
                    )
                yield chunk
        except httpx.HTTPError as error:
            raise self._wrong(f"{_plain(error)} after {n:,} bytes", "a whole body") from None

    def read(self, most_bytes: int) -> bytes:
        """The whole body; see `chunks`."""
        return b"".join(self.chunks(most_bytes))

    def expect(self, *kinds: str) -> None:
        """Refuse a body of another kind, such as the page of a login."""
        if self.kind not in kinds:
            raise self._wrong(
                f"status {self.status} with {self.kind or 'no content type'}", " or ".join(kinds)
            )

    def _wrong(self, seen: str, expected: str) -> PeerError:
        return PeerError(
            f"asked for {self._asked}; {seen}",
            expected=expected,
            where=self._where,
            todo="Limits are timeout_s and query_limit_s in site/pacs.toml",
        )


class WebLine:
    """Connections to one web archive.

    Parameters
    ----------
    archive
        Address, credentials, authorities.

    Raises
    ------
    SettingsError
        If token, password or certificates cannot be used.
    """

    def __init__(self, archive: WebArchive) -> None:
        self._archive = archive
        self._root = httpx.URL(archive.url)
        self.where = f"{archive.name} ({self._root.host})"
        self._client = httpx.Client(
            verify=_tls(archive),
            timeout=archive.timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "DoseLoop"},
        )

    @property
    def host(self) -> str:
        """Host of the archive."""
        return self._root.host

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    @contextmanager
    def get(
        self, path: str, asked: str, *, accept: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[Body]:
        """Ask for a resource below the root.

        Parameters
        ----------
        path
            Below the root, without a leading slash.
        asked
            What is asked for, for messages.
        accept
            Media types that are understood.
        params
            Of the query; a list gives a name several times.

        Raises
        ------
        DeniedError
            If our credentials do not suffice: no use in trying again.
        StatusError
            For any other status that is no success.
        PeerError
            If the server cannot be reached, or sends us elsewhere.
        """
        url = httpx.URL(f"{self._archive.url}/{path}", params=dict(params) if params else None)
        until = time.monotonic() + self._archive.query_limit_s
        for _ in range(_MOST_REDIRECTS + 1):
            request = self._client.build_request(
                "GET", url, headers={"Accept": accept, **_credentials(self._archive)}
            )
            answer = self._send(request, asked)
            try:
                if not answer.has_redirect_location:
                    self._judge(answer, asked)
                    yield Body(answer, asked, self.where, until)
                    return
                url = self._next(url, answer, asked)
            finally:
                answer.close()
        raise PeerError(
            f"asked for {asked}; {_MOST_REDIRECTS} redirects and no end of them", where=self.where
        )

    def _send(self, request: httpx.Request, asked: str) -> httpx.Response:
        try:
            return self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise PeerError(
                f"asked for {asked}; {_plain(error)}",
                expected="an answer",
                where=self.where,
                todo="Check address, port, firewall, and `ca` for its certificate",
            ) from None

    def _next(self, url: httpx.URL, answer: httpx.Response, asked: str) -> httpx.URL:
        """Where a redirect leads, as long as that is the same server."""
        try:
            target = url.join(answer.headers["location"])
        except httpx.InvalidURL:
            target = httpx.URL("")
        if _origin(target) != _origin(url):
            raise PeerError(
                f"asked for {asked}; it sends us to {target.host or 'nowhere'!r}"
                f" ({target.scheme or 'no scheme'})",
                expected=f"an answer of {self.host}",
                where=self.where,
                todo="Credentials are sent to no other host; if it is right, put it into `url`",
            )
        return target

    def _judge(self, answer: httpx.Response, asked: str) -> None:
        status = answer.status_code
        if status in (200, 204, 206):
            return
        words = f"status {status}" + (f" ({_WORDS[status]})" if status in _WORDS else "")
        if status in _DENIED:
            raise DeniedError(
                f"asked for {asked}; {words}",
                expected="an account that may read",
                where=self.where,
                todo=f"Check {_way(self._archive)} in site/pacs.toml",
            )
        error = StatusError(f"asked for {asked}; {words}", status, where=self.where)
        error.retry_after_s = _retry_after(answer.headers.get("retry-after"))
        raise error


def _credentials(archive: WebArchive) -> dict[str, str]:
    """Read anew for each request: tokens are renewed beside us."""
    if archive.token_file is not None:
        return {"Authorization": f"Bearer {_secret(archive.token_file)}"}
    if archive.user is not None and archive.password_file is not None:
        basic = httpx.BasicAuth(archive.user, _secret(archive.password_file))
        request = next(basic.auth_flow(httpx.Request("GET", archive.url)))
        return {"Authorization": request.headers["Authorization"]}
    return {}


def _secret(file: Path) -> str:
    """First line of a file that nobody else may read."""
    try:
        mode = file.stat().st_mode & 0o777
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise SettingsError(f"the secret cannot be read ({reason})", where=str(file)) from None
    if mode & 0o077:
        raise SettingsError(
            f"others may read the secret (mode {mode:04o})",
            expected="mode 0600",
            where=str(file),
            todo=f"chmod 600 {file}",
        )
    if not text or not text.isprintable():
        raise SettingsError("the secret is empty, or more than one line", where=str(file))
    return text


def _tls(archive: WebArchive) -> ssl.SSLContext:
    """Certificates are always verified; a site with an authority of its own names it."""
    try:
        context = ssl.create_default_context(cafile=archive.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if archive.certificate:
            context.load_cert_chain(archive.certificate, archive.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"certificate or key cannot be used ({getattr(error, 'reason', None) or error})",
            expected="PEM files that belong together",
            where=f"{archive.name}, ca, certificate, key",
        ) from None
    return context


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    ports = {"http": 80, "https": 443}
    return url.scheme, url.host, url.port or ports.get(url.scheme)


def _way(archive: WebArchive) -> str:
    if archive.token_file is not None:
        return "token_file"
    return "user and password_file" if archive.user else "token_file, or user and password_file"


def _retry_after(text: str | None) -> float | None:
    """Seconds; the form with a date is as good as none."""
    if text is None or not text.strip().isdecimal():
        return None
    return min(float(text), _LONGEST_RETRY_S)


def _plain(error: httpx.HTTPError) -> str:
    """What happened, in words; the text of an error may repeat a whole address."""
    if isinstance(error, httpx.TimeoutException):
        return "nothing came in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate cannot be trusted ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            return f"it cannot be reached ({cause.strerror})"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection broke off, or it spoke no HTTP"
    return type(error).__name__
