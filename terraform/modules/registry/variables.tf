variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the images. Use the same project in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "The region of the images. Use the cluster's region to avoid traffic between regions."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1."
  }
}

variable "name" {
  type        = string
  description = "The name of the Refeed image repository, and the prefix of the mirrors' names."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$", var.name))
    error_message = "name must consist of at most 42 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "mirrors" {
  type        = map(string)
  description = <<-EOT
    The registries to mirror in Artifact Registry, by a short name. Nodes without Internet access pull images from the
    mirrors: with {quay = "https://quay.io"}, they pull quay.io/argoproj/argocli as <mirror>/argoproj/argocli.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, uri in var.mirrors : can(regex("^[a-z][a-z0-9]{0,15}$", name)) && can(regex("^https://[a-z0-9.-]+$", uri))])
    error_message = "Each of mirrors must be a name of lower-case letters and digits and an address without a path, such as {quay = \"https://quay.io\"}."
  }
}

variable "untagged_days" {
  type        = number
  description = "The number of days after which an untagged image is deleted, such as one left by an interrupted push."
  default     = 14
  nullable    = false

  validation {
    condition     = var.untagged_days >= 1 && floor(var.untagged_days) == var.untagged_days
    error_message = "untagged_days must be a whole number of at least 1."
  }
}

variable "mirror_days" {
  type        = number
  description = "The number of days after which a mirrored image is deleted. The next pull fetches it again."
  default     = 180
  nullable    = false

  validation {
    condition     = var.mirror_days >= 1 && floor(var.mirror_days) == var.mirror_days
    error_message = "mirror_days must be a whole number of at least 1."
  }
}

variable "keep_versions" {
  type        = number
  description = "The number of newest versions of each image to keep regardless of other cleanup policies."
  default     = 20
  nullable    = false

  validation {
    condition     = var.keep_versions >= 2
    error_message = "keep_versions must be at least 2: the running image and the previous one for a rollback."
  }
}

variable "immutable_tags" {
  type        = bool
  description = "Whether tags are immutable. Pods pull IfNotPresent, so with a moved tag, nodes could run different versions."
  default     = true
  nullable    = false
}
