CREATE OR REPLACE VIEW compat_proxy AS
SELECT stream, headers_s, first_byte_s
FROM streams;

COMMENT ON VIEW compat_proxy IS 'What a proxy or a gateway calls time to first token: the first byte of the body.';
COMMENT ON COLUMN compat_proxy.stream IS 'The stream.';
COMMENT ON COLUMN compat_proxy.headers_s IS 'Response headers.';
COMMENT ON COLUMN compat_proxy.first_byte_s IS 'First chunk of the body. NULL: no body.';
