# METADATA
# title: What conftest asks for
# description: >
#   Collects what the packages below data.refeed.rules refuse, of Refeed and of whoever adds one, and
#   takes out what data.policy.exemptions excuses.
package main

import data.refeed.lib.refusals

# METADATA
# title: Refusals without an exemption
deny contains refusal if {
	some refusal in refused
	not excuse(refusal)
}

# METADATA
# title: An exemption says which object, which field and why
# description: Otherwise it would weaken the rule for whatever comes later.
deny contains refusal if {
	some name, exemption in data.policy.exemptions
	some key in ["rule", "object", "field", "reason"]
	not narrow(object.get(exemption, key, ""))
	field := sprintf("policy.exemptions.%s.%s", [name, key])
	says := "is empty or holds a *: name one rule, one object, one field, and the reason"
	refusal := refusals.refusal("exemption-narrow", "data", field, says)
}

# METADATA
# title: What is exempt stays visible
warn contains {"msg": sprintf("exempt, %s: %s", [reason, refusal.msg])} if {
	some refusal in refused
	reason := excuse(refusal)
}

refused contains refusal if some refusal in data.refeed.rules[_].refuse

excuse(refusal) := reason if {
	reasons := [exemption.reason |
		some exemption in data.policy.exemptions
		every key in ["rule", "object", "field"] {
			exemption[key] == refusal[key]
		}
	]
	reason := reasons[0]
}

narrow(text) if {
	text != ""
	not contains(text, "*")
}
