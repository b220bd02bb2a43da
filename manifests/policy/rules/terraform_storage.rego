# METADATA
# title: Buckets
# description: Access to a bucket is controlled in one place and is never public.
package refeed.rules.terraform_storage

import data.refeed.lib.plans
import data.refeed.lib.violations

# METADATA
# title: bucket-not-public
# description: Public access prevention overrides later grants.
deny contains violations.violation("bucket-not-public", bucket.object, "public_access_prevention", message) if {
	some bucket in plans.resources
	bucket.type == "google_storage_bucket"
	not bucket.after.public_access_prevention == "enforced"
	message := "is not enforced, so a single grant could make the bucket public. Set it to \"enforced\"."
}

# METADATA
# title: bucket-uniform
# description: With object ACLs, access cannot be reviewed in one place.
deny contains violations.violation("bucket-uniform", bucket.object, "uniform_bucket_level_access", message) if {
	some bucket in plans.resources
	bucket.type == "google_storage_bucket"
	not bucket.after.uniform_bucket_level_access == true
	message := "is not true, so objects could have their own ACLs. Set it to true."
}
