# METADATA
# title: Buckets
# description: Who reads a bucket is decided in one place, and never the whole world.
package refeed.rules.terraform_storage

import data.refeed.lib.plans
import data.refeed.lib.refusals

# METADATA
# title: bucket-not-public
# description: Prevention holds whatever anybody grants later.
refuse contains refusals.refusal("bucket-not-public", bucket.object, "public_access_prevention", says) if {
	some bucket in plans.resources
	bucket.type == "google_storage_bucket"
	not bucket.after.public_access_prevention == "enforced"
	says := "is not enforced: one grant could open the bucket to the world; set it to \"enforced\""
}

# METADATA
# title: bucket-uniform
# description: With access lists of objects nobody can say who reads what.
refuse contains refusals.refusal("bucket-uniform", bucket.object, "uniform_bucket_level_access", says) if {
	some bucket in plans.resources
	bucket.type == "google_storage_bucket"
	not bucket.after.uniform_bucket_level_access == true
	says := "is not true: each object could have readers of its own; set it to true"
}
