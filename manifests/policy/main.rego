# METADATA
# title: The entry point for conftest
# description: >
#   Collects the violations of all packages below data.refeed.rules, including packages that users add, and removes
#   those that data.policy.exemptions exempts.
package main

import data.refeed.lib.violations

# METADATA
# title: Violations without an exemption
deny contains violation if {
	some violation in violations_found
	not exemption_reason(violation)
}

# METADATA
# title: exemption-narrow
# description: A broader exemption would weaken the rule for future objects.
deny contains violation if {
	some name, exemption in data.policy.exemptions
	some key in ["rule", "object", "field", "reason"]
	not narrow(object.get(exemption, key, ""))
	field := sprintf("policy.exemptions.%s.%s", [name, key])
	message := "is empty or contains a *. Name one rule, one object, one field and the reason."
	violation := violations.violation("exemption-narrow", "data", field, message)
}

# METADATA
# title: Exempted violations are warnings
warn contains {"msg": sprintf("exempt (%s): %s", [reason, violation.msg])} if {
	some violation in violations_found
	reason := exemption_reason(violation)
}

violations_found contains violation if some violation in data.refeed.rules[_].deny

exemption_reason(violation) := reason if {
	reasons := [exemption.reason |
		some exemption in data.policy.exemptions
		every key in ["rule", "object", "field"] {
			exemption[key] == violation[key]
		}
	]
	reason := reasons[0]
}

narrow(text) if {
	text != ""
	not contains(text, "*")
}
