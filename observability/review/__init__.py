"""What a change does: two revisions of a program, recorded and compared, as Markdown for a pull request.

`revisions` has the two trees, `stack.review` what is different in each stack, `page.page` the words.
"""
