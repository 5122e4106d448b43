/** A key and a certificate for localhost that nobody trusts: it has signed itself. */
function pem(label: string, base64: string): string {
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}

export const SELF_SIGNED = {
  key: pem(
    "EC PRIVATE KEY",
    "MHcCAQEEIGshTTMtm0bI1wbRX0KlUngWaKvaHj4wwLDbzzJc3NJwoAoGCCqGSM49AwEHoUQDQgAEOB0R8b7FSPo6K8xupD2+S8qthqm16aFi78ub9LCw/7nsESK+7xIKqOcpjJpeI81VjiusEOEF0JkVNNiFaz7ucg==",
  ),
  cert: pem(
    "CERTIFICATE",
    "MIIBnDCCAUGgAwIBAgIUBarZwPB9dew2oE46k8y3qgrvEpMwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTA2MDA1M1oYDzIxMjYxMTA1MDYwMDUzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ4HRHxvsVI+jorzG6kPb5Lyq2GqbXpoWLvy5v0sLD/uewRIr7vEgqo5ymMml4jzVWOK6wQ4QXQmRU02IVrPu5yo28wbTAdBgNVHQ4EFgQUnF1QCYNb+G/d3TCfv56yrq3uf9wwHwYDVR0jBBgwFoAUnF1QCYNb+G/d3TCfv56yrq3uf9wwDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDSQAwRgIhAOHbU3DD8H1VdOQgqcz+2EhKKdNUiVAeyeGrQ0D97kI9AiEA1lUBbzGuNeACWP2o1e5c+bQUQSrtQV4I3lofYIPbKjw=",
  ),
};
