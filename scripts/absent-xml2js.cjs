// Stands in the bundle for xml2js, which dbus-next constructs at start and uses for proxy objects only; we use none.
class Absent {}
module.exports = { Builder: Absent, Parser: Absent };
