// Stands in the bundle for libraries that our dependencies load and we never use (see build.mjs). dbus-next constructs
// these two when it connects and uses them for proxy objects only.
class Absent {}
module.exports = { Builder: Absent, Parser: Absent };
